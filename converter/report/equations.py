"""A recurrent cell's equations with the names of its arrays, as Keras computes them."""

from __future__ import annotations

from typing import NamedTuple

from converter.gates import Cell
from converter.report.recurrent import DirectionRow


class Equation(NamedTuple):
    """`left = right`; `gate` is the letter of the gate that it defines, or ""."""

    left: str
    right: str
    gate: str = ""


def gate_name(cell: str, gate: str) -> str:
    """A gate's value in the equations: c~ and h~ are candidates, c and h the states.

    >>> gate_name("LSTM", "c"), gate_name("GRU", "h"), gate_name("SimpleRNN", "h")
    ('c~', 'h~', 'h')
    """
    candidate = {Cell.LSTM: "c", Cell.RNN: ""}.get(Cell(cell), "h")
    return f"{gate}~" if gate == candidate else gate


def equations(row: DirectionRow) -> list[Equation]:
    """One for each gate, then how the states follow; x is the step, h the previous output."""
    inner, outer = row.activation.partition("(")[0], row.recurrent_activation.partition("(")[0]
    match Cell(row.cell):
        case Cell.LSTM:
            return [
                Equation("i", f"{outer}({_sum(row, 'i')})", "i"),
                Equation("f", f"{outer}({_sum(row, 'f')})", "f"),
                Equation("c~", f"{inner}({_sum(row, 'c')})", "c"),
                Equation("o", f"{outer}({_sum(row, 'o')})", "o"),
                Equation("c", "f * c + i * c~"),
                Equation("h", f"o * {inner}(c)"),
            ]
        case Cell.GRU:
            return [
                Equation("z", f"{outer}(x_z + h_z)", "z"),
                Equation("r", f"{outer}(x_r + h_r)", "r"),
                Equation("h~", f"{inner}(x_h + r * h_h)", "h"),
                Equation("h", "z * h + (1 - z) * h~"),
                Equation("x_z", f"x @ kernel_z{_bias(row, ' + bias_z')}, ..."),
                Equation("h_z", f"h @ recurrent_kernel_z{_bias(row, ' + recurrent_bias_z')}, ..."),
            ]
        case Cell.GRU_RESET_BEFORE:
            return [
                Equation("z", f"{outer}({_sum(row, 'z')})", "z"),
                Equation("r", f"{outer}({_sum(row, 'r')})", "r"),
                Equation("h~", f"{inner}({_sum(row, 'h', state='(r * h)')})", "h"),
                Equation("h", "z * h + (1 - z) * h~"),
            ]
        case Cell.RNN:
            products = f"x @ kernel + h @ recurrent_kernel{_bias(row, ' + bias')}"
            return [Equation("h", f"{inner}({products})", "h")]


def parametrized(row: DirectionRow) -> list[str]:
    """The activations that have parameters, with them."""
    used = [row.activation]
    if Cell(row.cell) is not Cell.RNN:
        used.append(row.recurrent_activation)
    return [activation for activation in dict.fromkeys(used) if "(" in activation]


def _sum(row: DirectionRow, gate: str, state: str = "h") -> str:
    bias = _bias(row, f" + bias_{gate}")
    if row.window:
        return f"conv(x, kernel_{gate}) + conv({state}, recurrent_kernel_{gate}){bias}"
    return f"x @ kernel_{gate} + {state} @ recurrent_kernel_{gate}{bias}"


def _bias(row: DirectionRow, text: str) -> str:
    return text if row.gates[0].bias_shape else ""
