;; Gives the host an odd place.
;; expect: bad return: the plugin `hostile` handed over what can't be read: realloc return: result not aligned

(func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
  (i32.const 4097))
