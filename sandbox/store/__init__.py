"""What is kept in a database: the history, and the keys. The only part that knows SQLAlchemy.

database    connections to it, and what goes wrong with them
patience    how long anybody waits for it
postgres    connections to PostgreSQL that keep to that
rows        a run as the text and numbers that are stored
tables      the tables of today
migrations  from those of older versions to them, in numbered order
history     adding, searching, deleting
trimming    room for new runs
keys        adding, finding, revoking them
recorder    the observer of runs that fills it
artifacts   the files that runs gave back: no table, but a folder beside
"""
