// Puts the README of the repository into the package. On npm its relative links would lead nowhere,
// so they lead to the repository, whose address stands in package.json alone.

import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

const here = import.meta.dirname
const readme = await readFile(join(here, '..', '..', 'README.md'), 'utf8')
const manifest: { repository: { url: string } } = JSON.parse(
  await readFile(join(here, 'package.json'), 'utf8'),
)
const repository = manifest.repository.url.replace(/^git\+/, '').replace(/\.git$/, '')
const linked = readme.replaceAll(
  /(!?)(\[[^\]]*\])\((?!https?:|#)([^)]+)\)/g,
  (_, image: string, label: string, path: string) =>
    `${image}${label}(${repository}/${image === '' ? 'blob' : 'raw'}/main/${path})`,
)
await writeFile(join(here, 'README.md'), linked)
