;; Answers with an address on which no answer can lie.
;; expect: bad return: the plugin `hostile` handed over what can't be read: return pointer not aligned

(func (export "notify") (param i32) (result i32)
  (i32.const 257))
