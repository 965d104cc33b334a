;; Answers with the last address that there is.
;; expect: trap: the plugin `hostile` crashed: pointer out of bounds of memory

(func (export "notify") (param i32) (result i32)
  (i32.const -8))
