"""Runs a command on a terminal of its own, and tells what somebody who looks at it sees.

    terminal.py ROWS COLUMNS [--interrupt-at TEXT] -- COMMAND...

Prints JSON: the exit code; every line that is left, above the screen and on it; what the screen looked like at each
of its frames; whether the cursor is visible; whether anything was coloured. It knows the escapes of ECMA-48 that
move and erase, and fails on any other.
"""

import errno
import fcntl
import json
import os
import pty
import re
import signal
import struct
import sys
import termios

ESCAPE = re.compile(r"\x1b\[(\??)([0-9;]*)([A-Za-z])")


class Terminal:
    def __init__(self, rows, columns):
        self.rows, self.columns = rows, columns
        self.lines, self.row, self.column = [""], 0, 0
        self.cursor, self.coloured, self.frames = True, False, []

    def top(self):
        return max(0, len(self.lines) - self.rows)

    def put(self, char):
        if self.column == self.columns:
            self.newline()
            self.column = 0
        line = self.lines[self.row].ljust(self.column)
        self.lines[self.row] = line[: self.column] + char + line[self.column + 1 :]
        self.column += 1

    def newline(self):
        self.row += 1
        if self.row == len(self.lines):
            self.lines.append("")

    def escape(self, private, numbers, letter):
        number = int(numbers) if numbers.isdigit() else 0
        if letter == "A":
            self.row = max(self.top(), self.row - max(1, number))
        elif letter == "K":
            self.lines[self.row] = self.lines[self.row][: self.column]
        elif letter == "J":
            self.lines[self.row] = self.lines[self.row][: self.column]
            del self.lines[self.row + 1 :]
        elif letter == "m":
            self.coloured = True
        elif private and number == 25:
            self.cursor = letter == "h"
        elif private and number == 2026:
            if letter == "l":
                self.frames.append(list(self.lines))
        else:
            raise SystemExit(f"unknown escape: {private}{numbers}{letter}")

    def write(self, text):
        """Returns what may be the beginning of an escape."""
        at = 0
        while at < len(text):
            char = text[at]
            if char == "\x1b":
                match = ESCAPE.match(text, at)
                if not match:
                    return text[at:]
                self.escape(*match.groups())
                at = match.end()
                continue
            if char == "\r":
                self.column = 0
            elif char == "\n":
                self.newline()
            else:
                self.put(char)
            at += 1
        return ""


def main():
    split = sys.argv.index("--")
    options, command = sys.argv[1:split], sys.argv[split + 1 :]
    terminal = Terminal(int(options[0]), int(options[1]))
    interrupt_at = options[3] if len(options) > 2 else None
    child, master = pty.fork()
    if child == 0:
        size = struct.pack("HHHH", terminal.rows, terminal.columns, 0, 0)
        fcntl.ioctl(0, termios.TIOCSWINSZ, size)
        os.execvp(command[0], command)
    pending = b""
    rest = ""
    while True:
        try:
            chunk = os.read(master, 65536)
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            break
        if not chunk:
            break
        pending += chunk
        text = pending.decode("utf-8", "ignore")
        # A character may be cut in two.
        pending = pending[len(text.encode()) :]
        rest = terminal.write(rest + text)
        if interrupt_at and any(interrupt_at in line for line in terminal.lines):
            interrupt_at = None
            os.kill(child, signal.SIGINT)
    _, status = os.waitpid(child, 0)
    print(json.dumps({
        "code": os.waitstatus_to_exitcode(status),
        "lines": [line.rstrip() for line in terminal.lines],
        "frames": terminal.frames,
        "cursor": terminal.cursor,
        "coloured": terminal.coloured,
    }))


main()
