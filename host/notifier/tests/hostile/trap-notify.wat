;; Crashes.
;; expect: trap: the plugin `hostile` crashed: wasm trap: wasm `unreachable` instruction executed

(func (export "notify") (param i32) (result i32)
  (unreachable))
