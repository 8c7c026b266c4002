"""The interface: screens and widgets on the store. No widget knows the network; `app` alone builds the engine."""

import os

# Textual waits this long (ms) after Esc for the rest of a longer key; its 100 would be felt each time a message closes.
os.environ.setdefault("ESCDELAY", "30")
