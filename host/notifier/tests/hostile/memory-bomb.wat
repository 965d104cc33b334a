;; Takes memory until it gets none.
;; expect: memory: the plugin `hostile` wanted more than its 16384 KiB of memory

(func (export "notify") (param i32) (result i32)
  (loop (br_if 0 (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) (unreachable))
