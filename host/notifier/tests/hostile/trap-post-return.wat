;; Has answered, and crashes when it cleans up.
;; expect: trap: the plugin `hostile` crashed: wasm trap: wasm `unreachable` instruction executed

(func (export "post-notify") (param i32)
  (unreachable))
