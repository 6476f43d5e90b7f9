"""The table as Markdown and as LaTeX."""

from __future__ import annotations

from collections.abc import Callable

from flowdeblur.ablation.table import MINUS, NONE, AblationTable, Column

_LATEX_COLUMNS = (
    *("paper_psnr", "paper_ssim", "psnr", "ssim", "gain", "difference"),
    *("parameters", "steps"),
)

_LATEX_HEAD = r"""%% \usepackage{booktabs,graphicx}
\begin{table}
\centering
\caption{%s}
\label{tab:%s}
\sbox0{\begin{tabular}{l%s}
\toprule"""

_LATEX_FOOT = r"""\bottomrule
\end{tabular}}
\ifdim\wd0>\textwidth\resizebox{\textwidth}{!}{\usebox0}\else\usebox0\fi
\par\smallskip
\parbox{\textwidth}{\footnotesize %s}
\end{table}
"""


def to_markdown(table: AblationTable) -> str:
    """Write the table for a README."""
    columns = table.columns()
    lines = [
        "| " + " | ".join(column.heading for column in columns) + " |",
        "|---|" + "---:|" * (len(columns) - 1),
    ]
    for place in range(len(table.rows)):
        cells = _cells(columns, place, lambda text: f"**{text}**", lambda text: text)
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join([*lines, "", *table.notes(), ""])


def to_latex(table: AblationTable, label: str) -> str:
    r"""Write the table for a paper.

    Args:
        table: the table; without chosen columns, it shows those of a paper.
        label: for ``\ref{tab:LABEL}``.

    Returns:
        A ``table`` environment that fits the width of the text, with its notes below; it needs the
        packages booktabs and graphicx.
    """
    columns = table.columns(default=_LATEX_COLUMNS)
    lines = [
        _LATEX_HEAD % (_escape(table.title), label, "r" * (len(columns) - 1)),
        " & ".join(_escape(column.heading) for column in columns) + r" \\",
        r"\midrule",
    ]
    for place in range(len(table.rows)):
        cells = _cells(columns, place, lambda text: rf"\textbf{{{text}}}", _escape)
        lines.append(" & ".join(cells) + r" \\")
    return "\n".join([*lines, _LATEX_FOOT % _escape(" ".join(table.notes()))])


def _cells(
    columns: list[Column], place: int, bold: Callable[[str], str], escape: Callable[[str], str]
) -> list[str]:
    return [
        bold(escape(column.cells[place])) if place in column.best else escape(column.cells[place])
        for column in columns
    ]


def _escape(text: str) -> str:
    plain = {
        "\\": r"\textbackslash{}",
        "±": r"$\pm$",
        MINUS: "$-$",
        NONE: "--",
        "^": r"\textasciicircum{}",
    }
    plain |= {"~": r"\textasciitilde{}", "<": "$<$", ">": "$>$", "[": "{[}"}  # not \\[length]
    plain |= {each: f"\\{each}" for each in "&%_#${}"}
    return "".join(plain.get(each, each) for each in text)
