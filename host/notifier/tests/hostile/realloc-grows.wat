;; Takes all memory as soon as the host hands something over.
;; expect: memory: the plugin `hostile` wanted more than its 16384 KiB of memory

(func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
  (loop (br_if 0 (i32.ne (memory.grow (i32.const 64)) (i32.const -1))))
  (unreachable))
