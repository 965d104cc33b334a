;; Wants ten million table entries from the beginning.
;; expect: memory: the plugin `hostile` wanted more than its 16384 KiB of memory

(table 10000000 funcref)
