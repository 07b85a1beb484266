# From a full disk to freed space with three commands. ROOT is the data root of the engine; df says what happened.
df --block-size=1 --output=used,avail,pcent "$ROOT"
layerindex scan "$ROOT"
layerindex plan --script > free.sh
sh free.sh all
df --block-size=1 --output=used,avail,pcent "$ROOT"
