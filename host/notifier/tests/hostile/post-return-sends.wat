;; Sends a request when it should clean up.
;; expect: trap: the plugin `hostile` crashed: wasm trap: cannot leave component instance

(func (export "post-notify") (param i32)
  (call $http (i32.const 512) (i32.const 1024)))
