;; Gives the host a place behind its memory.
;; expect: trap: the plugin `hostile` crashed: realloc return: beyond end of memory

(func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
  (i32.const 262136))
