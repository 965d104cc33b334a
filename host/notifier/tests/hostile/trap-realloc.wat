;; Crashes where the host wants a place.
;; expect: trap: the plugin `hostile` crashed: wasm trap: wasm `unreachable` instruction executed

(func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
  (unreachable))
