"The tests press the stop button. A process that was started in the background may have been told not to listen to it."
import signal

signal.signal(signal.SIGINT, signal.default_int_handler)
