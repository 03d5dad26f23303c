"""What boots and runs on the emulated instances, on loopback.

Everything is somebody else's for the product: user data runs as it is stored, units as they are written, tasks as they
are defined. Only absolute paths are moved below a node's directory, and addresses are loopback's.

Children are started by the main thread alone: they are to die with it, and the kernel takes the thread for the parent.
"""
