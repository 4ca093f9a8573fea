"""What writes files of the repository that are made from others of it."""
