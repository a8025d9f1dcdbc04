/** Why a transaction cannot stand in this block. */
export const REJECTIONS = [
  'WrongChain',
  'SenderUnrecoverable',
  'GasLimitTooHigh',
  'IntrinsicGasTooLow',
  'InitcodeTooLarge',
  'FeeCapBelowBaseFee',
  'SenderNotEoa',
  'NonceTooLow',
  'NonceTooHigh',
  'InsufficientFunds',
] as const
export type Rejection = (typeof REJECTIONS)[number]
