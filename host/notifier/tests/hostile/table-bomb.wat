;; Takes table entries until it gets none.
;; expect: memory: the plugin `hostile` wanted more than its 16384 KiB of memory

(table $t 1 funcref)
(func (export "notify") (param i32) (result i32)
  (loop (br_if 0 (i32.ne (table.grow $t (ref.null func) (i32.const 1000)) (i32.const -1)))) (unreachable))
