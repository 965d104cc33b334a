;; Gives the host a place behind its memory.
;; expect: bad return: the plugin `hostile` handed over what can't be read: realloc return: beyond end of memory

(func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
  (i32.const 262136))
