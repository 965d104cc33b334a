;; Answers with the last address that there is.
;; expect: bad return: the plugin `hostile` handed over what can't be read: pointer out of bounds of memory

(func (export "notify") (param i32) (result i32)
  (i32.const -8))
