import { describe, expect, test } from 'vitest'
import { deallocation } from '../../packages/bridge/src/sql/deallocation.ts'

describe('deallocation', () => {
  test.each([
    ['discard all', 'all'],
    [' ; DISCARD /* what */ ALL;', 'all'],
    ['deallocate all', 'all'],
    ['deallocate prepare all', 'all'],
    ['deallocate "all"', { name: 'all' }],
    ['deallocate prepare "all"', { name: 'all' }],
    ['deallocate Plan', { name: 'plan' }],
    ['deallocate prepare "A ""b"""', { name: 'A "b"' }],
    ['deallocate prepare', { name: 'prepare' }],
  ])('of %j is %j', (text, expected) => {
    expect(deallocation(text)).toEqual(expected)
  })

  test.each(['discard plans', 'discard temp', 'deallocate', 'select 1', '', 'discard'])(
    'of %j is nothing',
    (text) => {
      expect(deallocation(text)).toBeUndefined()
    },
  )
})
