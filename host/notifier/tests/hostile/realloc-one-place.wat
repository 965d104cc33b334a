;; Gives the host the same place each time, so that all lies over one another. It harms itself alone.
;; expect: delivered

(func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
  (i32.const 4096))
