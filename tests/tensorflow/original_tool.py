"""TensorFlow's own command-line tools, run in this process: importing TensorFlow takes
longer than all that they do."""

import contextlib
import io
import sys


class Outcome:
    """What a command did: its exit code, and all that it printed or raised."""

    def __init__(self, code, text):
        self.code = code
        self.text = text


def run(module, flags):
    """Calls the tool as its file does when it is run: parse_args, then main."""
    arguments = [f"--{name}={value}" for name, value in flags.items()]
    printed = io.StringIO()
    old = sys.argv
    sys.argv = [module.__name__, *arguments]
    try:
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
            module.FLAGS, unparsed = module.parse_args()
            assert not unparsed, unparsed
            code = module.main([sys.argv[0]])
    except SystemExit as stop:
        code = stop.code
    except Exception as error:  # what Python does: a trace, and exit code 1
        # The tools raise ValueError("text ", name): as many arguments as pieces of text.
        return Outcome(1, printed.getvalue() + "".join(map(str, error.args)))
    finally:
        sys.argv = old
    return Outcome((code or 0) & 255, printed.getvalue())
