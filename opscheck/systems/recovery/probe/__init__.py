"""The probe that runs restore drills, and reads the records of earlier ones."""
