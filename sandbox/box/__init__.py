"""One container's life: what is said to its supervisor, how it waits, ends, and what its report means.

protocol  the frames, and what they add up to
container one container, from `docker run` to its confirmed removal
pool      containers that wait with an interpreter started
teardown  used containers, removed behind the answers
classify  report -> result
"""
