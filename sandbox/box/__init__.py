"""One container's life: what is said to its supervisor, how it waits, ends, and what its report means.

orders    what the supervisor shall do for a request
protocol  the frames, and the reports they add up to
arrivals  the files that a run gives back, as they come
pipes     the docker client that a container is attached by
container one container, from `docker run` to its confirmed removal
pool      containers that wait with an interpreter started
lease     containers that are kept for their owners
budget    what all of them may take of the memory
teardown  used containers, removed behind the answers
supply    a container for a run: a kept one, one that waits, or a fresh one
classify  report -> result
"""
