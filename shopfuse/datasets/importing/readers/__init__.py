"""Rows out of files, a module for each format; `tables` knows them all. None knows what the rows mean."""
