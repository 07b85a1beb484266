"""`layerindex completion`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from click.shell_completion import ShellComplete

BASH = r"""_layerindex_completion() {
    # Bash breaks words at = and :, which stand in KEY=VALUE and in names of images: take the line as it was typed.
    local line="${COMP_LINE:0:COMP_POINT}" words kind value whole before
    read -ra words <<< "$line"
    [[ $line == *[[:space:]] ]] && words+=("")
    whole="${words[-1]}"
    before="${whole%"${whole##*[=:]}"}"
    COMPREPLY=()
    while IFS=, read -r kind value; do
        case $kind in
            plain) COMPREPLY+=("${value#"$before"}") ;;
            file) compopt -o default ;;
            dir) compopt -o dirnames ;;
        esac
    done < <(COMP_WORDS="$line" COMP_CWORD=$((${#words[@]} - 1)) _LAYERINDEX_COMPLETE=bash_complete "$1" 2>/dev/null)
    [[ ${#COMPREPLY[@]} == 1 && ${COMPREPLY[0]} == *= ]] && compopt -o nospace
    return 0
}
complete -o nosort -F _layerindex_completion layerindex
"""
"""What click has for bash breaks KEY=VALUE and names with a colon."""

SHELLS = ("bash", "zsh", "fish")


@click.command(name="completion")
@click.argument("shell", type=click.Choice(SHELLS))
def command(shell: str) -> None:
    r"""Print what completes commands, options, queries, parameters and the database's names in a SHELL.

    \b
    bash: eval "$(layerindex completion bash)" in ~/.bashrc
    zsh:  eval "$(layerindex completion zsh)" in ~/.zshrc, after compinit
    fish: layerindex completion fish > ~/.config/fish/completions/layerindex.fish

    Names of hosts, images and containers come from the database that --db or LAYERINDEX_DB names. Names that a shell
    would read as more than a word are not offered.
    """
    click.echo(BASH if shell == "bash" else _of_click(shell), nl=False)


def _of_click(shell: str) -> str:
    from click.shell_completion import FishComplete, ZshComplete  # noqa: PLC0415 - of this command only

    shells: dict[str, type[ShellComplete]] = {"fish": FishComplete, "zsh": ZshComplete}

    return shells[shell](click.Command("layerindex"), {}, "layerindex", "_LAYERINDEX_COMPLETE").source()
