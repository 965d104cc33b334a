;; Wants 1 GiB from the beginning.
;; expect: memory: the plugin `hostile` wanted more than its 16384 KiB of memory

(memory (export "memory") 16384)
