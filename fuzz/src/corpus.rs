//! The form of a corpus in the repository: a text file with one input a line, its odd bytes escaped.

/// Returns the inputs of a file; `None` where a line is not of the form.
pub fn read(text: &str) -> Option<Vec<Vec<u8>>> {
    text.lines().map(unescape).collect()
}

/// Returns the file of these inputs.
pub fn write(inputs: &[Vec<u8>]) -> String {
    let lines: Vec<String> = inputs.iter().map(|input| input.escape_ascii().to_string()).collect();
    lines.join("\n") + "\n"
}

/// Reads what [`slice::escape_ascii`] writes.
fn unescape(line: &str) -> Option<Vec<u8>> {
    let mut bytes = line.bytes();
    let mut input = Vec::new();
    while let Some(byte) = bytes.next() {
        input.push(match byte {
            b'\\' => match bytes.next()? {
                b'n' => b'\n',
                b'r' => b'\r',
                b't' => b'\t',
                b'x' => hex(bytes.next()?)? << 4 | hex(bytes.next()?)?,
                mark => mark,
            },
            byte => byte,
        });
    }
    Some(input)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}
