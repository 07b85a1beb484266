"""What a scan knows of a store before it looks at its images and containers."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from layerindex.stores.containers_storage import layers
from layerindex.stores.containers_storage.moment import read_lists

if TYPE_CHECKING:
    from collections.abc import Mapping

    from layerindex.problems import Damage
    from layerindex.stores.containers_storage.layers import StoredLayer
    from layerindex.stores.containers_storage.moment import Lists
    from layerindex.stores.disk.files import Folder
    from layerindex.stores.shared.claims import Claims


class Lent(NamedTuple):
    """What other graph roots share: layers, ids of images, short names; and findings about these roots."""

    layers: dict[str, StoredLayer]
    images: set[str]
    links: dict[str, str]
    damages: list[Damage]


class Found(NamedTuple):
    """The lists of a driver, what is computed from them, and who needs its directories."""

    root: Folder
    run: Folder | None
    """The runroot, where it is known and exists."""
    driver: str
    lists: Lists
    lent: Lent
    known: Mapping[str, StoredLayer]
    """The layers of this store and of its additional image stores."""
    chains: layers.Chains
    claims: Claims

    @classmethod
    def of(cls, root: Folder, run: Folder | None, driver: str, lent: Lent, claims: Claims) -> Found:
        """Read the lists, and return it with the layers and their chains."""
        lists = read_lists(root, driver, run)
        known = {**lent.layers, **lists.layers}
        return cls(root, run, driver, lists, lent, known, layers.Chains(known), claims)

    def now(self) -> Lists:
        """Return the lists as they are now."""
        return read_lists(self.root, self.driver, self.run)

    def folder(self, kind: str) -> Folder:
        """Open one of the driver's folders of metadata; raises Damage."""
        return self.root.folder(f"{self.driver}-{kind}")

    @property
    def apart(self) -> set[str]:
        """Layers whose users cannot be found by chain: they have none, or another layer represents it."""
        return self.lists.layers.keys() - layers.standing(self.lists.layers, self.chains).values()

    def claim(self, top: str, kind: str, owner: str, among: set[str] | None = None) -> None:
        """Record who needs a layer and all layers below it, or only those that are in `among`."""
        for layer in layers.way(top, self.known):
            if among is None or layer.layer_id in among:
                self.claims.add(layer.layer_id, kind, owner)
