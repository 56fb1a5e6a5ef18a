"""What comes in, checked before anything is started: archives, which of their files is run, how long text may be."""
