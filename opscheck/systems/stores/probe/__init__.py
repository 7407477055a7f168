"""The probes of stores: listings and contents, the same for every client."""
