;; Gives the host the last address that there is.
;; expect: trap: the plugin `hostile` crashed: realloc return: beyond end of memory

(func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
  (i32.const -8))
