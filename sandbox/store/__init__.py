"""What is kept in a database: the history. The only part that knows SQLAlchemy.

database  is its URL one that can be used?
tables    the tables, and what becomes of older ones
rows      a run as the text and numbers that are stored
history   adding, searching, deleting
recorder  the observer of runs that fills it
"""
