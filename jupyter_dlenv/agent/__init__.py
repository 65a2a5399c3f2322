"""The program inside an environment: it starts kernels, signals them and reports their ends.

This folder is copied into containers and run as ``python FOLDER --directory D --home H``.
So it uses the standard library only, runs on Python 3.8, and nothing of it is imported
by the rest of jupyter_dlenv, which speaks to it through ``kernels/link.py``.

Three kinds of processes::

    supervisor          listens on agent.sock, knows all kernels, reaps them
    ├── zygote          has imported ipykernel, forks a kernel for each request
    ├── kernel          its own session; the supervisor's child by adoption
    └── kernel
"""
