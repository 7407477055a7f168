"""The probe of S3 and S3-compatible stores: the objects and the configuration of one bucket."""
