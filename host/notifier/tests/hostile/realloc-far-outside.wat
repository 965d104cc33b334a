;; Gives the host the last address that there is.
;; expect: bad return: the plugin `hostile` handed over what can't be read: realloc return: beyond end of memory

(func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
  (i32.const -8))
