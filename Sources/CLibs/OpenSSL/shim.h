// What Swift cannot import from OpenSSL by itself: function-like macros.
#pragma once
// SHA256_Init and its kin: deprecated in favour of EVP in 3.0, kept because their context is a plain value (Crypto/SHA256.swift).
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/ssl.h>
#include <openssl/err.h>
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <openssl/pem.h>
