"""The documents: their site, the references that are generated, the commands that the tests execute."""
