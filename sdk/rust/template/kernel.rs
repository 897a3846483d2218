mod millrace;
use millrace::{param, Array, Column, Columns, Schema, Values};

/// A scalar function: `SELECT ... WHERE keep(delay, distance)` in SQL, `udf('keep', col('delay'), col('distance'))` in a program.
#[no_mangle]
pub extern "C" fn keep(a: f64, b: f64) -> i32 { (a > b) as i32 }

// What follows is a batch kernel: batches of columns in, batches of other columns out. Here: texts longer than `least` characters.
static mut LEAST: usize = 0;
static mut INPUT: Option<Columns> = None;
static mut OUT: Option<Columns> = None;

#[no_mangle]
pub unsafe extern "C" fn configure(params: *const u8, bytes: usize) -> i32 {
    let params = std::slice::from_raw_parts(params, bytes);
    LEAST = param(params, "least").and_then(|v| v.parse().ok()).unwrap_or(0);
    INPUT = Some(Columns::new(vec![("text\0", Values::Text(vec![0], vec![]))]));
    OUT = Some(Columns::new(vec![("text\0", Values::Text(vec![0], vec![])), ("length\0", Values::I32(vec![]))]));
    0
}

#[no_mangle]
pub unsafe extern "C" fn input_schema() -> *const Schema { (*std::ptr::addr_of_mut!(INPUT)).as_mut().unwrap().schema() }

#[no_mangle]
pub unsafe extern "C" fn schema() -> *const Schema { (*std::ptr::addr_of_mut!(OUT)).as_mut().unwrap().schema() }

#[no_mangle]
pub unsafe extern "C" fn process(input: *const Array, output: *mut Array) -> i32 {
    let out = (*std::ptr::addr_of_mut!(OUT)).as_mut().unwrap();
    out.clear();
    let texts = Column::of(input, 0);
    for row in 0..(*input).length as usize {
        if texts.is_null(row) { continue }
        let text = texts.text(row);
        let characters = text.iter().filter(|b| **b & 0xc0 != 0x80).count();
        if characters < LEAST { continue }
        out.push_text(0, text);
        out.push_i32(1, characters as i32);
    }
    out.give(output)
}
