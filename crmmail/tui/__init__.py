"""The interface: screens and widgets on the store. No widget knows the network; `app` alone builds the engine."""

import os

# Textual waits this long (ms) after Esc for the rest of a longer key; its 100 would be felt each time a message closes.
os.environ.setdefault("ESCDELAY", "30")
# Textual gathers what changed for up to one period of this many frames a second: at its 60 an act whose second half is
# painted by the timer stood 36 ms after the key, at 240 it stands after 18, for the same CPU.
os.environ.setdefault("TEXTUAL_FPS", "240")
