/** The compiled module of `mcl-wasm` under its wrapper: what of it is called here. Numbers are addresses in its memory. */
declare module 'mcl-wasm/dist/mcl_c.js' {
  type Predicate = (point: number) => number
  type Unary = (to: number, from: number) => void
  type Binary = (to: number, left: number, right: number) => void
  type FromBytes = (to: number, bytes: number, length: number) => number

  export interface MclModule {
    readonly wasmMemory: { readonly buffer: ArrayBuffer }
    _malloc(bytes: number): number
    _mclBn_init(curve: number, compiledFor: number): number
    _mclBn_verifyOrderG2(always: number): void
    _mclBnFr_setBigEndianMod: FromBytes
    _mclBnFp_setLittleEndian: FromBytes
    _mclBnFp_setInt32(to: number, value: number): void
    _mclBnFp_serialize(bytes: number, length: number, from: number): number
    _mclBnG1_clear(point: number): void
    _mclBnG1_isValid: Predicate
    _mclBnG1_isZero: Predicate
    _mclBnG1_normalize: Unary
    _mclBnG1_add: Binary
    _mclBnG1_mul: Binary
    _mclBnG2_clear(point: number): void
    _mclBnG2_isValid: Predicate
    _mclBnG2_isZero: Predicate
    _mclBnGT_setInt32(to: number, value: number): void
    _mclBnGT_isOne: Predicate
    _mclBnGT_mul: Binary
    _mclBn_millerLoopVec(to: number, points: number, twisted: number, count: number): void
    _mclBn_finalExp: Unary
  }

  export default function createModule(environment: {
    cryptoGetRandomValues(bytes: Uint8Array): void
  }): Promise<MclModule>
}
