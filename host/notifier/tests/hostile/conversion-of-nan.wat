;; Makes a whole number of what is none.
;; expect: trap: the plugin `hostile` crashed: wasm trap: invalid conversion to integer

(func (export "notify") (param i32) (result i32)
  (i32.trunc_f64_s (f64.const nan)))
