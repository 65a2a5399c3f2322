"""A kernel process for programs without our provisioner: a stand-in for the one in a container.

Any Jupyter program starts ``python -m jupyter_dlenv.kernels.bridge NAME -f FILE`` as it starts
other kernels, and finds the channels where the file says, Ctrl-C as SIGINT, and the kernel's
exit code as that of the process.  The kernel lives no longer than this process.
"""
