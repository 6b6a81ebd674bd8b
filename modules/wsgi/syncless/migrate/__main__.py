"""The command, as `python3 -m syncless.migrate` and, without the package syncless, as `python3 DIRECTORY`."""
import importlib
import os
import sys

if __package__:
    package = importlib.import_module(__package__)
else:
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    package = importlib.import_module("migrate")
    del sys.path[0]  # nothing there is meant for the program that is converted

package.main()
