"""What is kept in a database: the history. The only part that knows SQLAlchemy.

database    is its URL one that can be used? how a connection is set up
rows        a run as the text and numbers that are stored
tables      the tables of today
migrations  from those of older versions to them, in numbered order
history     adding, searching, deleting
recorder    the observer of runs that fills it
"""
